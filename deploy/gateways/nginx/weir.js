// Keeps the beginning of each answer for the log. njs makes a world of its own for each request, so nothing of one is in another's.

const MOST = 65536;
const TEXT = /json|xml|text|javascript|urlencoded|graphql/i;

const kept = [];
let size = 0;

// For `js_body_filter`: passes everything on as it comes, and keeps text that the upstream did not compress (what nginx itself compresses is
// still plain here).
function keep(r, data, flags) {
    r.sendBuffer(data, flags);
    const isPlain = !r.variables.upstream_http_content_encoding;
    if (size < MOST && data.length && isPlain && TEXT.test(r.headersOut['Content-Type'] || '')) {
        const part = Buffer.from(data.subarray(0, MOST - size));
        kept.push(part);
        size += part.length;
    }
}

// For `js_set`: what was kept.
function body() {
    return Buffer.concat(kept).toString();
}

export default { keep, body };

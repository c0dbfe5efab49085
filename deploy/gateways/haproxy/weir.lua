-- The name by which Weir knows the session of a request: what stands on its block list as `token/…`.
-- WEIR_GATEWAY_KEY is the key that `weir keys gateway` prints, as base64: weir keys gateway | xxd -r -p | base64 -w0
local key = assert(os.getenv("WEIR_GATEWAY_KEY"), "WEIR_GATEWAY_KEY is not set")

-- HMAC-SHA256 over `session`, the header's name and its value, each followed by a zero byte; its first half, in hex.
core.register_fetches("weir_session", function(txn)
  local scheme, token = (txn.sf:req_hdr("authorization") or ""):match("^%s*(%S+)%s+(%S+)%s*$")
  if not token then
    return ""
  end
  local mac = txn.c:hmac("session\0authorization\0" .. scheme:lower() .. " " .. token .. "\0", "sha256", key)
  return (mac:sub(1, 16):gsub(".", function(byte) return string.format("%02x", byte:byte()) end))
end)

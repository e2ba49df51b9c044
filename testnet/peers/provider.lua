-- For wrk: sends the requests of the file REQUESTS in turn, DEPTH of them at once, and prints what came of it as JSON.
-- A line is METHOD PATH TOKEN TAG BODY, parted by tabs; TAG and BODY may be empty. In turn, so that each credential of many
-- has its share whichever connection is free.

local depth = tonumber(os.getenv("DEPTH"))
local sent, at = {}, 0

function init()
  for line in io.lines(os.getenv("REQUESTS")) do
    local method, path, token, tag, body = line:match("([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)")
    local headers = { ["Authorization"] = "Bearer " .. token }
    if tag ~= "" then headers["If-None-Match"] = tag end
    if body ~= "" then headers["Content-Type"] = "application/json" end
    sent[#sent + 1] = wrk.format(method, path, headers, body ~= "" and body or nil)
  end
end

function request()
  local together = {}
  for place = 1, depth do
    at = at % #sent + 1
    together[place] = sent[at]
  end
  return table.concat(together)
end

function done(summary, latency)
  local e = summary.errors
  local form = '{"requests":%d,"s":%.6f,"bytes":%d,"p50_ms":%.3f,"p99_ms":%.3f,"refused":%d,"broken":%d}\n'
  io.write(string.format(form, summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, e.status, e.connect + e.read + e.write + e.timeout))
end

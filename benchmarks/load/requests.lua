-- What wrk asks for: `point`, `list` or `insert`, among so many rows, with a word that no other run has; or `replay` and
-- a file with whole requests, one after the other and from the start again, each of which ends in a zero byte.
-- At the end it prints one line of JSON, in microseconds.

local kind, rows, word, count, written = nil, nil, nil, 0, {}
local json = { ["Content-Type"] = "application/json" }

local kinds = {
  point = function()
    return wrk.format("GET", "/users/" .. math.random(1, rows))
  end,
  list = function()
    return wrk.format("GET", "/users?after=" .. math.random(0, rows - 20))
  end,
  insert = function()
    count = count + 1
    local email = string.format("%06x-%s-%d@example.com", math.random(0, 16777215), word, count)
    local body = '{"name":"User %d","email":"%s","score":%d,"active":true}'
    return wrk.format("POST", "/users", json, string.format(body, count, email, math.random(0, 999)))
  end,
  replay = function()
    count = count % #written + 1
    return written[count]
  end,
}

function init(arguments)
  kind = kinds[arguments[1]]
  if kind == kinds.replay then
    for request in io.open(arguments[2], "rb"):read("*a"):gmatch("([^%z]+)%z") do
      written[#written + 1] = request
    end
  else
    rows, word = tonumber(arguments[2]), arguments[3]
    math.randomseed(tonumber(word, 16))
  end
end

function request()
  return kind()
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d,"late":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write, errors.timeout
  ))
end

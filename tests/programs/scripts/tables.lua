-- Tables, strings, closures, coroutines and garbage. usage: tables.lua [REPEAT]
local function hash(s)
  local h = 5381
  for i = 1, #s do h = (h * 33 + s:byte(i)) & 0xffffffff end
  return h
end

for _ = 1, tonumber(arg[1] or 1) do
  local seed = 12345
  local function draw(n) seed = (seed * 1103515245 + 12345) & 0x7fffffff; return seed % n end

  local by_name, list = {}, {}
  for i = 1, 120000 do
    local name = "n" .. draw(30000) .. string.rep("x", draw(20))
    by_name[name] = (by_name[name] or 0) + i
    list[#list + 1] = { name = name, n = i, parts = { draw(9), draw(99) } }
  end
  table.sort(list, function(a, b) if a.name ~= b.name then return a.name < b.name end return a.n < b.n end)
  print(list[1].name, list[#list // 2].n, list[#list].parts[2])

  local sum = 0
  for _, v in pairs(by_name) do sum = (sum + v) & 0xffffffff end
  print(sum)

  local parts = {}
  for i = 1, 40000 do
    local s = ("%05d:%s"):format(i, list[i].name):gsub("x+", function(m) return #m end)
    parts[#parts + 1] = s:reverse():upper()
  end
  print(hash(table.concat(parts, ",")))

  local threads, out = {}, {}
  for i = 1, 3000 do
    threads[i] = coroutine.wrap(function(a) for k = 1, 5 do a = a + coroutine.yield(a * k) end return -a end)
  end
  for k = 1, 6 do for i = 1, #threads do out[#out + 1] = threads[i](i + k) end end
  local total = 0
  for i = 1, #out do total = total + out[i] end
  print(total)

  for i = 1, #list, 2 do list[i] = nil end
  list, by_name, threads = nil, nil, nil
  collectgarbage()
  print(collectgarbage("count") < 40000)
end

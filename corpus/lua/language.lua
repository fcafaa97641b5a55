-- A tour of Lua that raises no error: errors need non-local exits.
local lib = require("lib")
print(_VERSION, lib.name, lib.square(12))

-- closures and varargs
local function counter(start)
  local n = start
  return function(step) n = n + (step or 1); return n end
end
local a, b = counter(10), counter(20)
print("closures", a(), a(5), b(), select("#", a(), b()))
local function sum(...)
  local s = 0
  for _, v in ipairs({...}) do s = s + v end
  return s, ...
end
print("varargs", sum(1, 2, 3), (sum(4, 5)))

-- metatables and inheritance
local Point = {}
Point.__index = Point
Point.__add = function(p, q) return setmetatable({x = p.x + q.x, y = p.y + q.y}, Point) end
Point.__eq = function(p, q) return p.x == q.x and p.y == q.y end
Point.__tostring = function(p) return "(" .. p.x .. "," .. p.y .. ")" end
Point.__lt = function(p, q) return p.x < q.x end
Point.__len = function() return 2 end
Point.__call = function(self, k) return self[k] end
Point.__concat = function(p, s) return tostring(p) .. tostring(s) end
local function point(x, y) return setmetatable({x = x, y = y}, Point) end
print("metatables", tostring(point(1, 2) + point(3, 4)), point(1, 2) == point(1, 2), point(1, 0) < point(2, 0),
  #point(0, 0), point(7, 8)("y"), point(1, 1) .. "!")
local proxy = setmetatable({}, {__index = function(_, k) return k * 2 end, __newindex = function(t, k, v) rawset(t, k, v + 1) end})
proxy[5] = 9
print("proxy", proxy[5], proxy[21])

-- integers and floats
print("numbers", 7 // 2, -7 // 2, 7 % -3, 7.5 // 2, 2 ^ 10, 10 / 2, 1 << 62, 1 << 64, ~5, 0xff ~ 0x0f, math.maxinteger + 1 == math.mininteger)
print("numbers", 3 | 0, math.type(1), math.type(1.0), 1e15, 1e100, 0.1, -0.0, 100 // 1e-320, math.tointeger(3.0), "10" + 5, 1 / 0, math.ult(1, -1))
print("convert", tonumber("0x1p4"), tonumber("  12  "), tonumber("z", 36), tonumber("1e1"), string.format("%5.2f|%-5d|%05d|%x|%q|%s", 3.14159, 42, 42, 255, "a\nb", {} ~= nil))

-- strings and patterns
print("strings", ("hello"):upper(), ("x"):rep(3, "-"), ("hello"):sub(-3, -2), ("abc"):byte(1, -1))
print("patterns", ("key = value"):match("^(%w+)%s*=%s*(%w+)$"), ("a,b,,c"):gsub(",", ";"), ("THE (quick) fox"):find("%((%a+)%)"))
for w, n in ("one=1 two=2"):gmatch("(%a+)=(%d+)") do print("gmatch", w .. n) end
print("gsub", ("hello world"):gsub("o", {o = "0"}), ("abc"):gsub("%w", "%0%0"), ("$name"):gsub("%$(%w+)", function(s) return s:upper() end))
print("balance", ("f(a(b)c)d"):match("%b()"), ("  trim "):match("^%s*(.-)%s*$") .. "|", ("x"):format(), ("%d%%"):format(5))
print("pack", string.unpack("<i4 >i2 z", string.pack("<i4 >i2 z", -2, 515, "end")))
print("utf8", utf8.char(228, 8364, 128512), utf8.len("äö€"), utf8.codepoint("€", 1))

-- tables
local t = {5, 2, 8, 1, n = 4}
table.sort(t, function(x, y) return x > y end)
table.insert(t, 1, 9); table.insert(t, 0); print("tables", table.concat(t, " "), table.remove(t), #t, table.unpack(t, 2, 3))
print("move", table.concat(table.move({1, 2, 3}, 2, 3, 1), ","), next({}), rawlen({1, 2}), #"abc")

-- control: goto, numeric loops, to-be-closed and constant variables
for i = 1, 3 do for j = 1, 3 do if j == 2 then goto continue end; if i == 3 then break end; print("loop", i, j); ::continue:: end end
local last
for i = 10, 1, -4 do last = i end
print("last", last)
do
  local guard <close> = setmetatable({}, {__close = function() print("closed") end})
  local fixed <const> = 5
  print("inside", fixed)
end
print("pcall", pcall(function(x) return x * 2 end, 21))
local co = coroutine.create(function(x) return x + 1 end)
print("coroutine", coroutine.status(co), coroutine.resume(co, 41))
print("load", load("return 1 + ...")(2))
local weak = setmetatable({}, {__mode = "k"})
weak[{}] = 1
collectgarbage()
print("gc", next(weak), collectgarbage("count") > 0)

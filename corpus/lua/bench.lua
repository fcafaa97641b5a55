-- Compute: n queens, a matrix product, string building, a heap and a hash of strings.
local function queens(n)
  local count, cols, d1, d2 = 0, {}, {}, {}
  local function place(r)
    if r > n then count = count + 1 return end
    for c = 1, n do
      if not (cols[c] or d1[r + c] or d2[r - c + n]) then
        cols[c], d1[r + c], d2[r - c + n] = true, true, true
        place(r + 1)
        cols[c], d1[r + c], d2[r - c + n] = nil, nil, nil
      end
    end
  end
  place(1)
  return count
end
print("queens", queens(8))

local function matrix(n, f)
  local m = {}
  for i = 1, n do m[i] = {} for j = 1, n do m[i][j] = f(i, j) end end
  return m
end
local function multiply(a, b, n)
  return matrix(n, function(i, j)
    local s, row = 0.0, a[i]
    for k = 1, n do s = s + row[k] * b[k][j] end
    return s
  end)
end
local n = 130
local m = multiply(matrix(n, function(i, j) return (i * j) % 7 + 0.5 end), matrix(n, function(i, j) return i - j end), n)
print("matrix", m[1][1], m[n][n], m[65][3])

local parts = {}
for i = 1, 60000 do parts[#parts + 1] = string.format("%d:%s", i, ("ab"):rep(i % 5)) end
local text = table.concat(parts, ",")
local letters = 0
for _ in text:gmatch("ab") do letters = letters + 1 end
print("text", #text, letters, (text:gsub("%d+", "")):len())

local heap, size, x = {}, 0, 12345
local function push(v)
  size = size + 1
  local i = size
  while i > 1 and heap[i // 2] > v do heap[i] = heap[i // 2]; i = i // 2 end
  heap[i] = v
end
local function pop()
  local top, v = heap[1], heap[size]
  size = size - 1
  local i = 1
  while 2 * i <= size do
    local c = 2 * i
    if c < size and heap[c + 1] < heap[c] then c = c + 1 end
    if heap[c] >= v then break end
    heap[i] = heap[c]
    i = c
  end
  heap[i] = v
  return top
end
for _ = 1, 100000 do x = (x * 1103515245 + 12345) & 0x7fffffff; push(x) end
local ordered, last, hash = true, -1, 0
for _ = 1, 100000 do local v = pop(); ordered = ordered and v >= last; last = v; hash = (hash * 31 + v) & 0xffffffff end
print("heap", ordered, hash)

local count, keys = {}, 0
for i = 1, 300000 do local k = "k" .. (i * 7919 % 5003); if not count[k] then keys = keys + 1 end; count[k] = (count[k] or 0) + i end
print("strings", keys, count.k1, count.k5002)
local function fib(k) if k < 2 then return k end return fib(k - 1) + fib(k - 2) end
print("fib", fib(27))

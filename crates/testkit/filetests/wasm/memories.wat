;; test: wasm
;; Several memories, one of them with 64-bit addresses.
(module (memory 1) (memory i64 1) (memory 2)
  (func (param i32 i64) (result i32)
    (i64.store 1 offset=8 (local.get 1) (i64.load 0 (local.get 0)))
    (memory.copy 2 0 (i32.const 0) (local.get 0) (i32.const 16))
    (memory.fill 1 (local.get 1) (i32.const 0) (i64.const 3))
    (drop (memory.grow 1 (i64.const 1)))
    (drop (memory.grow 2 (i32.const 1)))
    (i32.add (memory.size 2) (i32.load8_s 2 (i32.const 7)))))
; ----
func 0 sig0 (i32, i64) -> (i32) {
b0:
  v0: i32 = param
  v1: i64 = param
  v2: i64 = load.i64 m0[v0 + 0]
  store.i64 m1[v1 + 8], v2
  libcall memory_copy(2:i64, 0:i32, v0, 16:i32)
  libcall memory_fill(1:i64, v1, 0:i32, 3:i64)
  v6: i64 = libcall memory_grow(1:i64, 1:i64)
  v7: i32 = libcall memory_grow(2:i64, 1:i32)
  v8: i32 = mem_size m2
  v9: i32 = load8_s.i32 m2[7:i32 + 0]
  v10: i32 = add.i32 v8, v9
  return v10
}

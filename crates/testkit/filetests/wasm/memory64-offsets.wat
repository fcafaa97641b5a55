;; test: wasm
;; Static offsets of 64-bit memories that do not fit an instruction are added to the address.
(module (memory i64 1) (func (param i64) (result i32)
  (i32.add (i32.load offset=0xffffffff (local.get 0))
    (i32.load offset=0x100000000 (local.get 0)))))
; ----
func 0 sig0 (i64) -> (i32) {
b0:
  v0: i64 = param
  v1: i32 = load.i32 m0[v0 + 4294967295]
  v2: i64 = add.i64 v0, 4294967296:i64
  v3: i32 = lt_u.i64 v2, 4294967296:i64
  trap_if.i32 MemoryOutOfBounds, v3
  v5: i32 = load.i32 m0[v2 + 0]
  v6: i32 = add.i32 v1, v5
  return v6
}

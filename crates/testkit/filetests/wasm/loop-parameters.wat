;; test: wasm
;; A loop with parameters and results of its type.
(module (func (param i32 i64) (result i64)
  (local.get 1) (i64.const 1)
  (loop (param i64 i64) (result i64)
    (i64.mul)
    (i64.const 3)
    (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))
    (i64.add))))
; ----
func 0 sig0 (i32, i64) -> (i64) {
  loop l0: b1..b3 depth 1
b0:
  v0: i32 = param
  v1: i64 = param
  jump b1(v1, 1:i64, v0)
b1 in l0:
  v3: i64 = param
  v4: i64 = param
  v5: i32 = param
  v6: i64 = mul.i64 v3, v4
  v7: i32 = add.i32 v5, -1:i32
  br_if v7, b1(v6, 3:i64, v7), b2
b2 in l0:
  v9: i64 = add.i64 v6, 3:i64
  jump b3
b3:
  return v9
}

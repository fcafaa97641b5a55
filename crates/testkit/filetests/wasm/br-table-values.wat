;; test: wasm
;; A table whose edges carry values, to a block, a loop and the function.
(module (func (param i32 i32) (result i32)
  (local.get 1)
  (loop (param i32) (result i32)
    (i32.add (i32.const 1))
    (block (param i32) (result i32)
      (br_table 0 1 2 0 (local.get 0)))
    (i32.mul (i32.const 3)))))
; ----
func 0 sig0 (i32, i32) -> (i32) {
  loop l0: b1..b4 depth 1
b0:
  v0: i32 = param
  v1: i32 = param
  jump b1(v1)
b1 in l0:
  v3: i32 = param
  v4: i32 = add.i32 v3, 1:i32
  br_table v0, b3, b1(v4), b2 [0 1 2 0]
b2 in l0:
  return v4
b3 in l0:
  v7: i32 = mul.i32 v4, 3:i32
  jump b4
b4:
  return v7
}

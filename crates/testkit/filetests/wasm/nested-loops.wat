;; test: wasm
;; Loops in loops; the inner one passes through what only the outer one changes.
(module (func (param i32 i32) (result i32) (local i32 i32 i32)
  (loop $outer
    (local.set 3 (i32.const 0))
    (loop $inner
      (local.set 4 (i32.add (local.get 4) (i32.xor (local.get 2) (local.get 3))))
      (local.set 3 (i32.add (local.get 3) (i32.const 1)))
      (br_if $inner (i32.lt_u (local.get 3) (local.get 1))))
    (local.set 2 (i32.add (local.get 2) (i32.const 1)))
    (br_if $outer (i32.lt_u (local.get 2) (local.get 0))))
  (local.get 4)))
; ----
func 0 sig0 (i32, i32) -> (i32) {
  loop l0: b1..b4 depth 1
  loop l1: b2..b3 in l0 depth 2
b0:
  v0: i32 = param
  v1: i32 = param
  jump b1(0:i32, 0:i32, 0:i32)
b1 in l0:
  v3: i32 = param
  v4: i32 = param
  v5: i32 = param
  jump b2(0:i32, v4)
b2 in l1:
  v7: i32 = param
  v8: i32 = param
  v9: i32 = xor.i32 v3, v7
  v10: i32 = add.i32 v8, v9
  v11: i32 = add.i32 v7, 1:i32
  v12: i32 = lt_u.i32 v11, v1
  br_if v12, b2(v11, v10), b3
b3 in l0:
  v14: i32 = add.i32 v3, 1:i32
  v15: i32 = lt_u.i32 v14, v0
  br_if v15, b1(v14, v10, v11), b4
b4:
  return v10
}

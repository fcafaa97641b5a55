;; test: wasm
;; A value is shared with what its definition dominates, and not with a sibling.
(module (func (param i32 i32) (result i32) (local i32 i32 i32)
  (local.set 2 (i32.mul (local.get 0) (local.get 1)))
  (if (local.get 0)
    (then
      (local.set 3 (i32.add (i32.mul (local.get 0) (local.get 1)) (i32.div_u (local.get 0) (local.get 1)))))
    (else
      (local.set 3 (i32.div_u (local.get 0) (local.get 1)))))
  (i32.add (local.get 3)
    (i32.add (i32.div_u (local.get 0) (local.get 1)) (i32.mul (local.get 1) (local.get 0))))))
; ----
func 0 sig0 (i32, i32) -> (i32) {
b0:
  v0: i32 = param
  v1: i32 = param
  v2: i32 = mul.i32 v0, v1
  br_if v0, b1, b2
b1:
  v4: i32 = div_u.i32 v0, v1
  v5: i32 = add.i32 v2, v4
  jump b3(v5)
b2:
  v7: i32 = div_u.i32 v0, v1
  jump b3(v7)
b3:
  v9: i32 = param
  v10: i32 = div_u.i32 v0, v1
  v11: i32 = add.i32 v2, v10
  v12: i32 = add.i32 v9, v11
  return v12
}

;; test: wasm
;; What differs between two paths is a parameter where they meet; what does not is none.
(module (func (param i32 i32) (result i32) (local i32 i32)
  (local.set 3 (local.get 1))
  (if (local.get 0)
    (then (local.set 2 (i32.add (local.get 1) (i32.const 3))) (local.set 3 (local.get 1)))
    (else (local.set 2 (i32.mul (local.get 1) (i32.const 5)))))
  (i32.add (local.get 2) (local.get 3))))
; ----
func 0 sig0 (i32, i32) -> (i32) {
b0:
  v0: i32 = param
  v1: i32 = param
  br_if v0, b1, b2
b1:
  v3: i32 = add.i32 v1, 3:i32
  jump b3(v3)
b2:
  v5: i32 = mul.i32 v1, 5:i32
  jump b3(v5)
b3:
  v7: i32 = param
  v8: i32 = add.i32 v1, v7
  return v8
}

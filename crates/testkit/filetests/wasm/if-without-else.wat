;; test: wasm
;; A conditional without an alternative goes straight to its end.
(module (func (param i32 i32) (result i32)
  (if (i32.eqz (local.get 0)) (then (local.set 1 (i32.const 3))))
  (local.get 1)))
; ----
func 0 sig0 (i32, i32) -> (i32) {
b0:
  v0: i32 = param
  v1: i32 = param
  v2: i32 = eqz.i32 v0
  br_if v2, b1, b2(v1)
b1:
  jump b2(3:i32)
b2:
  v5: i32 = param
  return v5
}

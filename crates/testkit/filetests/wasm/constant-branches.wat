;; test: wasm
;; A branch on a constant goes one way; what is only reached the other way goes.
(module (func (param i32) (result i32)
  (if (i32.const 0) (then (local.set 0 (i32.div_u (local.get 0) (i32.const 0)))))
  (block (br_if 0 (i32.const 1)) (local.set 0 (i32.const 5)))
  (if (result i32) (i32.const 7) (then (local.get 0)) (else (i32.const 9)))))
; ----
func 0 sig0 (i32) -> (i32) {
b0:
  v0: i32 = param
  jump b1
b1:
  jump b2
b2:
  return v0
}

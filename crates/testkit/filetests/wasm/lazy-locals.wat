;; test: wasm
;; Locals begin at zero without an instruction, of each type.
(module (func (result i32 i64 f32 f64 funcref externref) (local i32 i64 f32 f64 funcref externref)
  (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)))
; ----
func 0 sig0 () -> (i32, i64, f32, f64, funcref, anyref) {
b0:
  return 0:i32, 0:i64, 0.0:f32, 0.0:f64, null:funcref, null:anyref
}

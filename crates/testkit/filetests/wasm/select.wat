;; test: wasm
;; Selects of numbers and references.
(module (func (param i32 f64 externref) (result f64 externref)
  (select (local.get 1) (f64.const nan:0x4000000000001) (i32.eqz (local.get 0)))
  (select (result externref) (local.get 2) (ref.null extern) (local.get 0))))
; ----
func 0 sig0 (i32, f64, anyref) -> (f64, anyref) {
b0:
  v0: i32 = param
  v1: f64 = param
  v2: anyref = param
  v3: i32 = eqz.i32 v0
  v4: f64 = select.f64 v0, 0x7ff4000000000001:f64, v1
  v5: anyref = select.anyref v0, v2, null:anyref
  return v4, v5
}

;; test: wasm
;; Tail calls end their block.
(module
  (type $t (func (param i32 i32) (result i32)))
  (table 4 funcref)
  (func $even (param i32 i32) (result i32)
    (if (local.get 0) (then (return_call 1 (i32.sub (local.get 0) (i32.const 1)) (local.get 1))))
    (i32.const 1))
  (func $odd (param i32 i32) (result i32)
    (return_call_indirect (type $t) (local.get 0) (local.get 1) (i32.const 2))
    (drop) (unreachable)))
; ----
func 0 sig0 (i32, i32) -> (i32) {
b0:
  v0: i32 = param
  v1: i32 = param
  br_if v0, b1, b2
b1:
  v3: i32 = add.i32 v0, -1:i32
  return_call f1 sig0(v3, v1)
b2:
  return 1:i32
}
func 1 sig0 (i32, i32) -> (i32) {
b0:
  v0: i32 = param
  v1: i32 = param
  return_call_indirect t0 type 0 sig0(2:i32, v0, v1)
}

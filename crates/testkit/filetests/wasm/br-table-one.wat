;; test: wasm
;; A table with one target is a jump, with a constant index one too.
(module
  (func (param i32) (result i32) (block (br_table 0 0 0 (local.get 0))) (i32.const 1))
  (func (result i32) (block (block (br_table 0 1 (i32.const 5))) (return (i32.const 2))) (i32.const 1))
  (func (param i32) (result i32)
    (block (block (br_table 0 1 (local.get 0))) (return (i32.const 2))) (i32.const 1)))
; ----
func 0 sig0 (i32) -> (i32) {
b0:
  v0: i32 = param
  jump b1
b1:
  return 1:i32
}
func 1 sig1 () -> (i32) {
b0:
  jump b1
b1:
  return 1:i32
}
func 2 sig0 (i32) -> (i32) {
b0:
  v0: i32 = param
  br_if v0, b3, b1
b1:
  jump b2
b2:
  return 2:i32
b3:
  return 1:i32
}

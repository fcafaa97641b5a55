;; test: wasm
;; A table has one edge for each target, whatever the number of entries; the default is the last.
(module (func (param i32) (result i32)
  (block (block (block
    (br_table 0 1 0 2 1 0 2 2 1 (local.get 0)))
    (return (i32.const 10)))
    (return (i32.const 20)))
  (i32.const 30)))
; ----
func 0 sig0 (i32) -> (i32) {
b0:
  v0: i32 = param
  br_table v0, b1, b2, b3 [0 1 0 2 1 0 2 2 1]
b1:
  return 10:i32
b2:
  return 20:i32
b3:
  return 30:i32
}

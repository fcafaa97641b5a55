;; test: wasm
;; A loop that nobody repeats is none.
(module (func (param i32) (result i32)
  (loop (local.set 0 (i32.add (local.get 0) (i32.const 1))))
  (block (loop (br_if 1 (local.get 0)) (br_if 0 (i32.const 0)) (local.set 0 (i32.const 5))))
  (local.get 0)))
; ----
func 0 sig0 (i32) -> (i32) {
b0:
  v0: i32 = param
  v1: i32 = add.i32 v0, 1:i32
  jump b1(v1)
b1:
  v3: i32 = copy.i32 v1
  br_if v1, b3(v1), b2
b2:
  jump b3(5:i32)
b3:
  v6: i32 = param
  return v6
}

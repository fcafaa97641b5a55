;; test: wasm
;; Code behind a branch, a return or a trap yields nothing, whatever its types.
(module (func (param i32) (result i32)
  (block (result i32)
    (br 0 (i32.const 1))
    (loop (br 0)) (if (then (nop)) (else (br 1 (i32.const 3))))
    (i32.add) (drop) (block (br_table 0 0 0 (i32.const 0))))
  (if (local.get 0) (then (unreachable) (i64.add) (drop)))
  (return) (i32.const 2) (drop)))
; ----
func 0 sig0 (i32) -> (i32) {
b0:
  v0: i32 = param
  jump b1
b1:
  br_if v0, b2, b3
b2 cold:
  trap Unreachable
b3:
  return 1:i32
}

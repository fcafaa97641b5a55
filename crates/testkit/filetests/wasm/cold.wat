;; test: wasm
;; Blocks that only lead to a trap are cold.
(module (func (param i32 i32) (result i32)
  (if (i32.gt_u (local.get 0) (i32.const 100))
    (then (if (local.get 1) (then (unreachable)) (else (unreachable)))))
  (i32.rem_s (local.get 0) (local.get 1))))
; ----
func 0 sig0 (i32, i32) -> (i32) {
b0:
  v0: i32 = param
  v1: i32 = param
  v2: i32 = gt_u.i32 v0, 100:i32
  br_if v2, b1, b4
b1 cold:
  br_if v1, b2, b3
b2 cold:
  trap Unreachable
b3 cold:
  trap Unreachable
b4:
  v7: i32 = rem_s.i32 v0, v1
  return v7
}

;; test: wasm
;; Blocks, branches and functions with several results.
(module
  (func $two (param i32) (result i32 i64) (local.get 0) (i64.extend_i32_u (local.get 0)))
  (func (param i32) (result i64 i32 f32)
    (block (result i64 i32)
      (call $two (local.get 0))
      (if (param i32 i64) (result i64 i32) (local.get 0)
        (then (drop) (i64.const 5) (br 1 (i64.const 7) (i32.const 8)))
        (else (drop) (i64.extend_i32_s) (local.get 0))))
    (f32.const 1.5)))
; ----
func 0 sig0 (i32) -> (i32, i64) {
b0:
  v0: i32 = param
  v1: i64 = extend_u.i64 v0
  return v0, v1
}
func 1 sig1 (i32) -> (i64, i32, f32) {
  sig0: (i32) -> (i32, i64)
  depth 96
b0:
  v0: i32 = param
  v1: i32 = call f0 sig0(v0)
  v2: i64 = result 1 of v1
  br_if v0, b1, b2
b1:
  jump b3(7:i64, 8:i32)
b2:
  v5: i64 = extend_s.i64 v1
  jump b3(v5, v0)
b3:
  v7: i64 = param
  v8: i32 = param
  return v7, v8, 1.5:f32
}

;; test: wasm
;; Globals: a read after a write is what was written, but not after a call.
(module (global $g (mut i32) (i32.const 1)) (global $h i64 (i64.const 5))
  (func $f)
  (func (param i32) (result i32 i32 i64)
    (global.set $g (local.get 0))
    (global.get $g)
    (call $f)
    (global.get $g)
    (global.get $h)))
; ----
func 0 sig0 () -> () {
b0:
  return
}
func 1 sig1 (i32) -> (i32, i32, i64) {
  sig0: () -> ()
  depth 80
b0:
  v0: i32 = param
  global_set.i32 g0, v0
  call f0 sig0()
  v3: i32 = global_get g0
  v4: i64 = global_get g1
  return v0, v3, v4
}

;; test: wasm
;; Calls: direct, through a table, with several results, of imports.
(module
  (import "host" "f" (func $host (param i64) (result f64)))
  (type $t (func (param i32) (result i32 i32)))
  (table 4 funcref)
  (func $g (type $t) (local.get 0) (i32.const 5))
  (func (param i32) (result i32)
    (drop (call $host (i64.const 3)))
    (call $g (local.get 0))
    (i32.add)
    (call_indirect (type $t) (local.get 0))
    (i32.sub)))
; ----
func 1 sig0 (i32) -> (i32, i32) {
b0:
  v0: i32 = param
  return v0, 5:i32
}
func 2 sig2 (i32) -> (i32) {
  sig0: (i32) -> (i32, i32)
  sig1: (i64) -> (f64)
  depth 80
b0:
  v0: i32 = param
  v1: f64 = call f0 sig1(3:i64)
  v2: i32 = call f1 sig0(v0)
  v3: i32 = result 1 of v2
  v4: i32 = add.i32 v2, v3
  v5: i32 = call_indirect t0 type 0 sig0(v0, v4)
  v6: i32 = result 1 of v5
  v7: i32 = sub.i32 v5, v6
  return v7
}

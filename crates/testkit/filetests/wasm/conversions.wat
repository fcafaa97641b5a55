;; test: wasm
;; Every conversion.
(module (func (param i32 i64 f32 f64) (result i32 i32 i64 i64 f32 f32 f64 f64 i32 f64 i64 i32)
  (i32.trunc_f32_s (local.get 2)) (i32.trunc_sat_f64_u (local.get 3))
  (i64.trunc_f64_u (local.get 3)) (i64.trunc_sat_f32_s (local.get 2))
  (f32.convert_i64_u (local.get 1)) (f32.demote_f64 (local.get 3))
  (f64.convert_i32_s (local.get 0)) (f64.promote_f32 (local.get 2))
  (i32.reinterpret_f32 (local.get 2)) (f64.reinterpret_i64 (local.get 1))
  (i64.extend_i32_s (local.get 0)) (i32.extend16_s (local.get 0))))
; ----
func 0 sig0 (i32, i64, f32, f64) -> (i32, i32, i64, i64, f32, f32, f64, f64, i32, f64, i64, i32) {
b0:
  v0: i32 = param
  v1: i64 = param
  v2: f32 = param
  v3: f64 = param
  v4: i32 = trunc_s.i32 v2
  v5: i32 = trunc_sat_u.i32 v3
  v6: i64 = trunc_u.i64 v3
  v7: i64 = trunc_sat_s.i64 v2
  v8: f32 = convert_u.f32 v1
  v9: f32 = demote.f32 v3
  v10: f64 = convert_s.f64 v0
  v11: f64 = promote.f64 v2
  v12: i32 = bitcast.i32 v2
  v13: f64 = bitcast.f64 v1
  v14: i64 = extend_s.i64 v0
  v15: i32 = extend16_s.i32 v0
  return v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15
}

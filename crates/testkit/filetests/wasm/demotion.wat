;; test: wasm
;; Many locals written in many loops: more parameters than the budget allows, so some are frame slots.
(module (func (param i32) (local i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
  (loop (loop (loop (loop (loop (loop (loop (loop (loop (loop (loop (loop (loop (loop (loop (loop (loop (loop (loop (loop (loop (loop (loop (loop
    (local.set 1 (local.get 2))
    (local.set 2 (local.get 3))
    (local.set 3 (local.get 4))
    (local.set 4 (local.get 5))
    (local.set 5 (local.get 6))
    (local.set 6 (local.get 7))
    (local.set 7 (local.get 8))
    (local.set 8 (local.get 9))
    (local.set 9 (local.get 10))
    (local.set 10 (local.get 11))
    (local.set 11 (local.get 12))
    (local.set 12 (local.get 13))
    (local.set 13 (local.get 14))
    (local.set 14 (local.get 15))
    (local.set 15 (local.get 16))
    (local.set 16 (local.get 17))
    (local.set 17 (local.get 18))
    (local.set 18 (local.get 19))
    (local.set 19 (local.get 20))
    (local.set 20 (local.get 21))
    (local.set 21 (local.get 22))
    (local.set 22 (local.get 1))
  (br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))(br_if 0 (local.get 0)))))
; ----
func 0 sig0 (i32) -> () {
  slot s0: i32
  slot s1: i32
  slot s2: i32
  slot s3: i32
  slot s4: i32
  slot s5: i32
  slot s6: i32
  slot s7: i32
  slot s8: i32
  slot s9: i32
  slot s10: i32
  slot s11: i32
  slot s12: i32
  slot s13: i32
  slot s14: i32
  slot s15: i32
  slot s16: i32
  slot s17: i32
  slot s18: i32
  slot s19: i32
  slot s20: i32
  slot s21: i32
  loop l0: b1..b48 depth 1
  loop l1: b2..b47 in l0 depth 2
  loop l2: b3..b46 in l1 depth 3
  loop l3: b4..b45 in l2 depth 4
  loop l4: b5..b44 in l3 depth 5
  loop l5: b6..b43 in l4 depth 6
  loop l6: b7..b42 in l5 depth 7
  loop l7: b8..b41 in l6 depth 8
  loop l8: b9..b40 in l7 depth 9
  loop l9: b10..b39 in l8 depth 10
  loop l10: b11..b38 in l9 depth 11
  loop l11: b12..b37 in l10 depth 12
  loop l12: b13..b36 in l11 depth 13
  loop l13: b14..b35 in l12 depth 14
  loop l14: b15..b34 in l13 depth 15
  loop l15: b16..b33 in l14 depth 16
  loop l16: b17..b32 in l15 depth 17
  loop l17: b18..b31 in l16 depth 18
  loop l18: b19..b30 in l17 depth 19
  loop l19: b20..b29 in l18 depth 20
  loop l20: b21..b28 in l19 depth 21
  loop l21: b22..b27 in l20 depth 22
  loop l22: b23..b26 in l21 depth 23
  loop l23: b24..b25 in l22 depth 24
b0:
  v0: i32 = param
  jump b1
b1 in l0:
  jump b2
b2 in l1:
  jump b3
b3 in l2:
  jump b4
b4 in l3:
  jump b5
b5 in l4:
  jump b6
b6 in l5:
  jump b7
b7 in l6:
  jump b8
b8 in l7:
  jump b9
b9 in l8:
  jump b10
b10 in l9:
  jump b11
b11 in l10:
  jump b12
b12 in l11:
  jump b13
b13 in l12:
  jump b14
b14 in l13:
  jump b15
b15 in l14:
  jump b16
b16 in l15:
  jump b17
b17 in l16:
  jump b18
b18 in l17:
  jump b19
b19 in l18:
  jump b20
b20 in l19:
  jump b21
b21 in l20:
  jump b22
b22 in l21:
  jump b23
b23 in l22:
  jump b24
b24 in l23:
  v25: i32 = slot_load s0
  slot_store.i32 s1, v25
  v27: i32 = slot_load s2
  slot_store.i32 s0, v27
  v29: i32 = slot_load s3
  slot_store.i32 s2, v29
  v31: i32 = slot_load s4
  slot_store.i32 s3, v31
  v33: i32 = slot_load s5
  slot_store.i32 s4, v33
  v35: i32 = slot_load s6
  slot_store.i32 s5, v35
  v37: i32 = slot_load s7
  slot_store.i32 s6, v37
  v39: i32 = slot_load s8
  slot_store.i32 s7, v39
  v41: i32 = slot_load s9
  slot_store.i32 s8, v41
  v43: i32 = slot_load s10
  slot_store.i32 s9, v43
  v45: i32 = slot_load s11
  slot_store.i32 s10, v45
  v47: i32 = slot_load s12
  slot_store.i32 s11, v47
  v49: i32 = slot_load s13
  slot_store.i32 s12, v49
  v51: i32 = slot_load s14
  slot_store.i32 s13, v51
  v53: i32 = slot_load s15
  slot_store.i32 s14, v53
  v55: i32 = slot_load s16
  slot_store.i32 s15, v55
  v57: i32 = slot_load s17
  slot_store.i32 s16, v57
  v59: i32 = slot_load s18
  slot_store.i32 s17, v59
  v61: i32 = slot_load s19
  slot_store.i32 s18, v61
  v63: i32 = slot_load s20
  slot_store.i32 s19, v63
  v65: i32 = slot_load s21
  slot_store.i32 s20, v65
  v67: i32 = slot_load s1
  slot_store.i32 s21, v67
  br_if v0, b24, b25
b25 in l22:
  br_if v0, b23, b26
b26 in l21:
  br_if v0, b22, b27
b27 in l20:
  br_if v0, b21, b28
b28 in l19:
  br_if v0, b20, b29
b29 in l18:
  br_if v0, b19, b30
b30 in l17:
  br_if v0, b18, b31
b31 in l16:
  br_if v0, b17, b32
b32 in l15:
  br_if v0, b16, b33
b33 in l14:
  br_if v0, b15, b34
b34 in l13:
  br_if v0, b14, b35
b35 in l12:
  br_if v0, b13, b36
b36 in l11:
  br_if v0, b12, b37
b37 in l10:
  br_if v0, b11, b38
b38 in l9:
  br_if v0, b10, b39
b39 in l8:
  br_if v0, b9, b40
b40 in l7:
  br_if v0, b8, b41
b41 in l6:
  br_if v0, b7, b42
b42 in l5:
  br_if v0, b6, b43
b43 in l4:
  br_if v0, b5, b44
b44 in l3:
  br_if v0, b4, b45
b45 in l2:
  br_if v0, b3, b46
b46 in l1:
  br_if v0, b2, b47
b47 in l0:
  br_if v0, b1, b48
b48:
  return
}

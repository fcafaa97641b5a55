;; test: asm
;; A load from a memory without guards.
;; guards: off
(module (memory 1) (func (param i32) (result i64) (i64.load offset=16 (local.get 0))))
; ----
func 0:
49 8b 46 38 48 8d 4f 18 48 3b 48 08 0f 87 06 00 00 00 49 8b 44 3f 10 c3 0f 0b

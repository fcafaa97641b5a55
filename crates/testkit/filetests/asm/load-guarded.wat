;; test: asm
;; A load from a memory with guards needs no check.
(module (memory 1) (func (param i32) (result i64) (i64.load offset=16 (local.get 0))))
; ----
func 0:
49 8b 44 3f 10 c3

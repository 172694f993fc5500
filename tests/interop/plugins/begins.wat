;; A filter: lets messages pass whose body begins with the first byte of the argument. An argument is needed.
;; The layout of a batch is told in wit/filter.wit.
(module
  (memory (export "memory") 40)
  (data (i32.const 900) "1.0.0")
  (data (i32.const 910) "an argument is needed")
  ;; A list or a text as it is answered: where it lies and how long it is.
  (func $answer (param i32 i32) (result i32)
    (i32.store (i32.const 16) (local.get 0))
    (i32.store (i32.const 20) (local.get 1))
    (i32.const 16))
  ;; All that is given lies at 4096: one batch or one argument at a time.
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
  (func (export "petrel:plugin/filtering@1.0.0#version") (result i32) (call $answer (i32.const 900) (i32.const 5)))
  ;; Bodies.
  (func (export "petrel:plugin/filtering@1.0.0#wants") (result i32) (i32.const 1))
  (func (export "petrel:plugin/filtering@1.0.0#validate") (param $argument i32) (param $size i32) (result i32)
    (i32.store8 (i32.const 32) (i32.eqz (local.get $size)))
    (i32.store (i32.const 36) (i32.const 910))
    (i32.store (i32.const 40) (i32.const 21))
    (i32.const 32))
  (func (export "petrel:plugin/filtering@1.0.0#matches") (param $batch i32) (param $size i32) (result i64)
    (local $index i32) (local $entry i32) (local $first i32) (local $answer i64)
    (local.set $entry (i32.add (local.get $batch) (i32.load (local.get $batch))))
    (local.set $first (i32.load8_u (i32.add (local.get $batch) (i32.load offset=28 (local.get $batch)))))
    (loop $next
      (if (i32.and
            (i32.ne (i32.load offset=44 (local.get $entry)) (i32.const 0))
            (i32.eq (local.get $first)
              (i32.load8_u (i32.add (local.get $batch) (i32.load offset=48 (local.get $entry))))))
        (then
          (local.set $answer (i64.or (local.get $answer) (i64.shl (i64.const 1) (i64.extend_i32_u (local.get $index)))))))
      (local.set $index (i32.add (local.get $index) (i32.const 1)))
      (local.set $entry (i32.add (local.get $entry) (i32.load offset=4 (local.get $batch))))
      (br_if $next (i32.lt_u (local.get $index) (i32.load offset=8 (local.get $batch)))))
    (local.get $answer)))

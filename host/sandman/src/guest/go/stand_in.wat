;; What the runtime of core Go asks of WASI preview 1, answered inside of the component, so that a handler in Go imports
;; nothing but sandman:handler. The same calls give the same answers, always:
;;
;; - the clock is the time of the call's context; waiting takes no time, and moves only the monotonic clock
;; - random bytes are fixed while the runtime starts, and a failure with a hint in a call
;; - there are no arguments, no environment, no files and no sockets
;; - standard output is the handler's log; standard error is kept until the call ends, and is the reason of a fatal error:
;;   its first paragraph, and the first line of the guest's own in the stacks behind it; the log has all of it
;;
;; The SDK (guest/sdk-go/component_wasip1.go) calls the functions sandman_*; they exist in no other WASI.
(module
  (import "env" "memory" (memory 0))
  (import "sandman:handler/log@0.1.0" "log" (func $log (param $level i32) (param $text i32) (param $length i32)))
  (import "sandman:handler/log@0.1.0" "panicked"
    (func $panicked (param $text i32) (param $length i32) (param $place i32) (param $place_length i32)))

  ;; Nanoseconds since 1970: the time of the context.
  (global $now (mut i64) (i64.const 0))
  ;; Nanoseconds since the start; never 0, which Go's runtime takes for a fault.
  (global $elapsed (mut i64) (i64.const 1))
  ;; Whether the runtime has started, so that a call is what asks.
  (global $started (mut i32) (i32.const 0))
  ;; Where standard error is kept, how much fits and how much is there. The SDK gives the place.
  (global $kept (mut i32) (i32.const 0))
  (global $room (mut i32) (i32.const 0))
  (global $filled (mut i32) (i32.const 0))

  ;; What the paths of the guest's own sources begin with, if the SDK has said so.
  (global $own (mut i32) (i32.const 0))
  (global $own_length (mut i32) (i32.const 0))
  ;; Where a fatal error happened, once it was looked for.
  (global $place (mut i32) (i32.const 0))
  (global $place_length (mut i32) (i32.const 0))

  ;; A call begins: the time of its context, in milliseconds.
  (func (export "sandman_begin") (param $millis i64)
    (global.set $now (i64.mul (local.get $millis) (i64.const 1000000)))
    (global.set $started (i32.const 1)))

  ;; Where standard error is to be kept.
  (func (export "sandman_keep") (param $at i32) (param $room i32)
    (global.set $kept (local.get $at))
    (global.set $room (local.get $room)))

  ;; What the paths of the guest's own sources begin with.
  (func (export "sandman_own") (param $at i32) (param $length i32)
    (global.set $own (local.get $at))
    (global.set $own_length (local.get $length)))

  ;; Logs what was written to standard error, as a warning.
  (func $flush (export "sandman_flush") (call $flush_as (i32.const 3)))

  (func $flush_as (param $level i32)
    (if (global.get $filled)
      (then
        (call $log (local.get $level) (global.get $kept) (call $trimmed (global.get $kept) (global.get $filled)))
        (global.set $filled (i32.const 0)))))

  ;; The length without a line break at the end.
  (func $trimmed (param $text i32) (param $length i32) (result i32)
    (if (result i32)
      (i32.and
        (i32.ne (local.get $length) (i32.const 0))
        (i32.eq
          (i32.load8_u (i32.sub (i32.add (local.get $text) (local.get $length)) (i32.const 1)))
          (i32.const 10)))
      (then (i32.sub (local.get $length) (i32.const 1)))
      (else (local.get $length))))

  (func $keep (param $text i32) (param $length i32)
    (local $left i32)
    (local.set $left (i32.sub (global.get $room) (global.get $filled)))
    (if (i32.gt_u (local.get $length) (local.get $left))
      (then (local.set $length (local.get $left))))
    (memory.copy
      (i32.add (global.get $kept) (global.get $filled))
      (local.get $text)
      (local.get $length))
    (global.set $filled (i32.add (global.get $filled) (local.get $length))))

  (func (export "fd_write") (param $fd i32) (param $vectors i32) (param $count i32) (param $written i32) (result i32)
    (local $text i32) (local $length i32) (local $total i32)
    (if (i32.and (i32.ne (local.get $fd) (i32.const 1)) (i32.ne (local.get $fd) (i32.const 2)))
      (then (return (i32.const 8))))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $text (i32.load (local.get $vectors)))
        (local.set $length (i32.load offset=4 (local.get $vectors)))
        (local.set $total (i32.add (local.get $total) (local.get $length)))
        (if (i32.eq (local.get $fd) (i32.const 1))
          (then
            (call $flush)
            (call $log (i32.const 2) (local.get $text) (call $trimmed (local.get $text) (local.get $length))))
          (else (call $keep (local.get $text) (local.get $length))))
        (local.set $vectors (i32.add (local.get $vectors) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $written) (local.get $total))
    (i32.const 0))

  ;; The byte of standard error at an offset; 0 behind its end.
  (func $byte (param $offset i32) (result i32)
    (if (result i32) (i32.lt_u (local.get $offset) (global.get $filled))
      (then (i32.load8_u (i32.add (global.get $kept) (local.get $offset))))
      (else (i32.const 0))))

  ;; The length of the first paragraph of standard error, which an empty line ends.
  (func $paragraph (result i32)
    (local $end i32)
    (block $found
      (loop $next
        (br_if $found (i32.eq (local.get $end) (global.get $filled)))
        (br_if $found
          (i32.and
            (i32.eq (call $byte (local.get $end)) (i32.const 10))
            (i32.eq (call $byte (i32.add (local.get $end) (i32.const 1))) (i32.const 10))))
        (local.set $end (i32.add (local.get $end) (i32.const 1)))
        (br $next)))
    (call $trimmed (global.get $kept) (local.get $end)))

  ;; Whether the guest's own prefix stands at an offset of standard error.
  (func $is_own (param $offset i32) (result i32)
    (local $i i32)
    (loop $next
      (if (i32.lt_u (local.get $i) (global.get $own_length))
        (then
          (if
            (i32.ne
              (call $byte (i32.add (local.get $offset) (local.get $i)))
              (i32.load8_u (i32.add (global.get $own) (local.get $i))))
            (then (return (i32.const 0))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next))))
    (i32.const 1))

  ;; Looks for the first line of the guest's own in the stacks: a line break, a tab, its path, and what a blank ends.
  (func $find_place
    (local $at i32) (local $end i32)
    (if (i32.eqz (global.get $own_length)) (then (return)))
    (loop $next
      (if (i32.eq (local.get $at) (global.get $filled)) (then (return)))
      (if
        (i32.eqz
          (i32.and
            (i32.and
              (i32.eq (call $byte (local.get $at)) (i32.const 10))
              (i32.eq (call $byte (i32.add (local.get $at) (i32.const 1))) (i32.const 9)))
            (call $is_own (i32.add (local.get $at) (i32.const 2)))))
        (then
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next))))
    (local.set $at (i32.add (local.get $at) (i32.const 2)))
    (local.set $end (local.get $at))
    ;; Blanks, line breaks and the end of what is kept are all up to 32.
    (loop $more
      (if (i32.gt_u (call $byte (local.get $end)) (i32.const 32))
        (then
          (local.set $end (i32.add (local.get $end) (i32.const 1)))
          (br $more))))
    (global.set $place (i32.add (global.get $kept) (local.get $at)))
    (global.set $place_length (i32.sub (local.get $end) (local.get $at))))

  ;; The runtime gives up: what it wrote to standard error is why. A panic of the handler was told already, and wrote nothing.
  (func (export "proc_exit") (param $code i32)
    (if (global.get $filled)
      (then
        (call $find_place)
        (call $panicked
          (global.get $kept)
          (call $paragraph)
          (global.get $place)
          (global.get $place_length))
        (call $flush_as (i32.const 4))))
    unreachable)

  ;; 0 is the real time, everything else is monotonic.
  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $time i32) (result i32)
    (i64.store
      (local.get $time)
      (select (global.get $elapsed) (global.get $now) (local.get $clock)))
    (i32.const 0))

  (func (export "clock_res_get") (param $clock i32) (param $resolution i32) (result i32)
    (i64.store (local.get $resolution) (i64.const 1000000))
    (i32.const 0))

  ;; The bytes that the runtime starts with. In a call nothing is random: errno 52 (not supported).
  (func (export "random_get") (param $to i32) (param $length i32) (result i32)
    (if (global.get $started) (then (return (i32.const 52))))
    (memory.fill (local.get $to) (i32.const 0x5a) (local.get $length))
    (i32.const 0))

  ;; Only clocks are waited for, and at once: the first of them rings, and the monotonic clock is where it should be.
  (func (export "poll_oneoff") (param $in i32) (param $out i32) (param $count i32) (param $events i32) (result i32)
    (local $flags i32) (local $timeout i64)
    (block $none
      (loop $next
        (br_if $none (i32.eqz (local.get $count)))
        (if (i32.eqz (i32.load8_u offset=8 (local.get $in)))
          (then
            (local.set $timeout (i64.load offset=24 (local.get $in)))
            (local.set $flags (i32.load16_u offset=40 (local.get $in)))
            (if (i32.eqz (local.get $flags))
              (then (global.set $elapsed (i64.add (global.get $elapsed) (local.get $timeout))))
              (else
                (if (i64.gt_u (local.get $timeout) (global.get $elapsed))
                  (then (global.set $elapsed (local.get $timeout))))))
            (i64.store (local.get $out) (i64.load (local.get $in)))
            (i64.store offset=8 (local.get $out) (i64.const 0))
            (i32.store (local.get $events) (i32.const 1))
            (return (i32.const 0))))
        (local.set $in (i32.add (local.get $in) (i32.const 48)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.const 52))

  (func (export "sched_yield") (result i32) (i32.const 0))

  ;; Nothing came with the start.
  (func $nothing (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))
  (func (export "args_sizes_get") (param i32 i32) (result i32) (call $nothing (local.get 0) (local.get 1)))
  (func (export "environ_sizes_get") (param i32 i32) (result i32) (call $nothing (local.get 0) (local.get 1)))
  (func (export "args_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "environ_get") (param i32 i32) (result i32) (i32.const 0))

  ;; The rest is refused: 8 is a file that is not open, 76 what nobody was granted, 52 what is not there.
  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_allocate") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_close") (param i32) (result i32) (i32.const 8))
  (func (export "fd_datasync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_read") (param i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_renumber") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_sync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_tell") (param i32 i32) (result i32) (i32.const 8))
  (func (export "path_create_directory") (param i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 76))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 76))
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32) (i32.const 76))
  (func (export "proc_raise") (param i32) (result i32) (i32.const 52))
  (func (export "sock_accept") (param i32 i32 i32) (result i32) (i32.const 52))
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 52))
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) (i32.const 52))
  (func (export "sock_shutdown") (param i32 i32) (result i32) (i32.const 52))
)

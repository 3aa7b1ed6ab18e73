package sandman

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// The functions of the component, exported and imported by hand. `memory_wasip1.go` reads their arguments and writes their results.

//go:wasmimport sandman:handler/log@0.1.0 log
func hostLog(level uint32, text unsafe.Pointer, length uint32)

//go:wasmimport sandman:handler/log@0.1.0 panicked
func hostPanicked(text unsafe.Pointer, length uint32, place unsafe.Pointer, placeLength uint32)

// The stand-in for WASI, which `sandman build` adds next to this module.

//go:wasmimport wasi_snapshot_preview1 sandman_begin
func begin(nowMillis int64)

//go:wasmimport wasi_snapshot_preview1 sandman_keep
func keepStderr(at unsafe.Pointer, room uint32)

//go:wasmimport wasi_snapshot_preview1 sandman_flush
func flushStderr()

//go:wasmimport wasi_snapshot_preview1 sandman_own
func ownSources(prefix unsafe.Pointer, length uint32)

// Resets the random generators of the runtime, so that a call does not depend on earlier calls. `sandman build` adds
// it to the runtime.
//
//go:linkname restartRandom runtime.sandmanRestartRandom
func restartRandom()

var (
	// The argument of Export.
	exported struct {
		describe func() Contract
		handle   func(Trigger, *string, Context) (Written, error)
	}
	// Memory that the host has requested and the memory of a result, kept alive for the garbage collector.
	held []any
	// Standard error of a call. A fatal error of the runtime is reported here.
	stderr [8 << 10]byte
	// The path prefix of the guest's own sources.
	own string
)

func init() {
	keepStderr(unsafe.Pointer(&stderr), uint32(len(stderr)))
	if build, ok := debug.ReadBuildInfo(); ok && build.Main.Path != "" {
		own = build.Main.Path + "/"
		ownSources(unsafe.Pointer(unsafe.StringData(own)), uint32(len(own)))
	}
}

// Export exports a handler as a component. Call it in an init function of the package main.
func Export[S any](handler Handler[S]) {
	prepare[S]()
	exported.describe = handler.Describe
	exported.handle = func(trigger Trigger, state *string, context Context) (Written, error) {
		outcome, err := handler.Call(trigger, state, context)
		if err != nil {
			return Written{}, err
		}
		if outcome == nil {
			outcome = Keep[S]()
		}
		return outcome.Write()
	}
}

// Has encoding/json look at a type. `sandman build` runs the component up to its first call, so what is found out here is in
// the memory that each instance begins with.
func prepare[T any]() {
	// A type that reads or writes itself may not take what has nothing in it.
	defer func() { _ = recover() }()
	var value T
	_ = json.Unmarshal([]byte("{}"), &value)
	_, _ = json.Marshal(value)
}

func logText(level level, text string) {
	flushStderr()
	hostLog(uint32(level), unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)))
}

// The host requests memory for an argument.
//
//go:wasmexport cabi_realloc
func cabiRealloc(_ unsafe.Pointer, _, align, size uint32) unsafe.Pointer {
	if size == 0 {
		return unsafe.Pointer(uintptr(align))
	}
	// Eight bytes are the largest alignment of the ABI.
	words := make([]uint64, (size+7)/8)
	held = append(held, words)
	return unsafe.Pointer(unsafe.SliceData(words))
}

//go:wasmexport sandman:handler/handler@0.1.0#describe
func describe() unsafe.Pointer {
	defer trapOnPanic()
	held = held[:0]
	if exported.describe == nil {
		panic("no handler was exported: call sandman.Export in an init function of the package main")
	}
	return writeContract(exported.describe())
}

//go:wasmexport cabi_post_sandman:handler/handler@0.1.0#describe
func afterDescribe(unsafe.Pointer) { held = held[:0] }

//go:wasmexport sandman:handler/handler@0.1.0#handle
func handle(arguments unsafe.Pointer) unsafe.Pointer {
	defer trapOnPanic()
	trigger, state, context := readArguments(arguments)
	// The texts hold what of it is still needed.
	clear(held)
	held = held[:0]
	begin(context.NowMillis)
	restartRandom()
	written, err := exported.handle(trigger, state, context)
	flushStderr()
	return writeResult(written, err)
}

//go:wasmexport cabi_post_sandman:handler/handler@0.1.0#handle
func afterHandle(unsafe.Pointer) {
	clear(held)
	held = held[:0]
}

// Reports a panic and its location to the host, and ends the instance.
func trapOnPanic() {
	panicked := recover()
	if panicked == nil {
		return
	}
	flushStderr()
	text, place := fmt.Sprint(panicked), panicPlace()
	hostPanicked(
		unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)),
		unsafe.Pointer(unsafe.StringData(place)), uint32(len(place)),
	)
	syscall.Exit(2)
}

// The innermost line on the stack outside of the runtime, this package and the standard library, if there is
// one. The stack of a panic still exists when it is recovered.
func panicPlace() string {
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	for {
		frame, more := frames.Next()
		name := frame.Function
		dot := strings.IndexByte(name, '.')
		first, _, slash := strings.Cut(name, "/")
		standard := slash && !strings.Contains(first, ".") && first != "main" && strings.HasPrefix(frame.File, first)
		if dot > 0 && !slash {
			standard = strings.HasPrefix(frame.File, name[:dot]+"/")
		}
		// Functions that are linked under a name of the runtime's have files elsewhere.
		if strings.HasPrefix(name, "runtime.") || strings.HasPrefix(frame.File, "internal/") {
			standard = true
		}
		if name != "" && !standard && !strings.HasPrefix(name, "sandman/sdk") {
			return frame.File + ":" + strconv.Itoa(frame.Line)
		}
		if !more {
			return ""
		}
	}
}

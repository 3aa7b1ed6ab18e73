package sandman

import "fmt"

// How much attention a message asks for.
type level uint32

const (
	levelTrace level = iota
	levelDebug
	levelInfo
	levelWarn
	levelError
)

// Trace logs a step on the way. Do not log payloads: they hold personal data.
func Trace(format string, values ...any) { logText(levelTrace, fmt.Sprintf(format, values...)) }

// Debug logs a value worth seeing while looking for a fault.
func Debug(format string, values ...any) { logText(levelDebug, fmt.Sprintf(format, values...)) }

// Info logs something that an operator may want to know. fmt.Println does so as well.
func Info(format string, values ...any) { logText(levelInfo, fmt.Sprintf(format, values...)) }

// Warn logs something odd that the handler could deal with.
func Warn(format string, values ...any) { logText(levelWarn, fmt.Sprintf(format, values...)) }

// Error logs something that went wrong.
func Error(format string, values ...any) { logText(levelError, fmt.Sprintf(format, values...)) }

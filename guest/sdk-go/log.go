package sandman

import "fmt"

// The severity of a message.
type level uint32

const (
	levelTrace level = iota
	levelDebug
	levelInfo
	levelWarn
	levelError
)

// Trace logs an individual step. Do not log payloads: they contain personal data.
func Trace(format string, values ...any) { logText(levelTrace, fmt.Sprintf(format, values...)) }

// Debug logs details that help to find an error.
func Debug(format string, values ...any) { logText(levelDebug, fmt.Sprintf(format, values...)) }

// Info logs something that an operator may want to know. fmt.Println does so as well.
func Info(format string, values ...any) { logText(levelInfo, fmt.Sprintf(format, values...)) }

// Warn logs something unexpected that the handler could deal with.
func Warn(format string, values ...any) { logText(levelWarn, fmt.Sprintf(format, values...)) }

// Error logs an error.
func Error(format string, values ...any) { logText(levelError, fmt.Sprintf(format, values...)) }

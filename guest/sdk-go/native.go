//go:build !wasip1

package sandman

import (
	"fmt"
	"os"
)

// Export exports a handler as a component. On targets other than WebAssembly it does nothing.
func Export[S any](Handler[S]) {}

// In a component what this finds out is there before the first call.
func prepare[T any]() {}

func logText(level level, text string) {
	names := [...]string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR"}
	fmt.Fprintln(os.Stderr, names[level], text)
}

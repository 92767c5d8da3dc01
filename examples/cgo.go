// cgo: C.malloc is moat's, Go's own heap is not. Build: go build cgo.go; run under `moat run`. With the argument
// overflow it writes one byte too far, which C.free reports; with go the same in Go's memory, which Go's bounds stop.
package main

/*
#include <stdlib.h>
#include <string.h>
static void fill(char *p, size_t n) { memset(p, 'x', n); }
*/
import "C"

import (
	"fmt"
	"os"
	"unsafe"
)

func main() {
	n := 24
	p := C.malloc(C.size_t(n))
	if len(os.Args) > 1 && os.Args[1] == "overflow" {
		n++
	}
	C.fill((*C.char)(p), C.size_t(n))
	fmt.Println(len(C.GoStringN((*C.char)(p), 24)))
	C.free(unsafe.Pointer(p))
	text := C.CString("a string of C's")
	defer C.free(unsafe.Pointer(text))
	fmt.Println(C.GoString(text))
}

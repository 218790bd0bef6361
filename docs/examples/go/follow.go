// Follows a stream's log from its oldest record: follow DIRECTORY
//
// Prints "sequence<TAB>message" a record. Messages are slices over the mapped segment, made with unsafe.Slice: nothing is
// copied, and they end with the next poll. Build: go build (needs cgo, pkg-config and libfastlog).
package main

/*
#cgo pkg-config: fastlog
#include <stdlib.h>
#include <fastlog/fastlog_reader.h>
*/
import "C"

import (
	"bufio"
	"fmt"
	"os"
	"unsafe"
)

const batch = 256

// view is the memory itself; valid until the next poll.
func view(text *C.char, length C.uint32_t) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(text)), int(length))
}

func print(out *bufio.Writer, record *C.struct_fastlog_record) {
	if record.kind == C.FASTLOG_KIND_GAP {
		fmt.Fprintf(out, "gap\t%d\t%d\n", record.gap.count, record.gap.reason)
		return
	}
	fmt.Fprintf(out, "%d\t", record.frame.sequence)
	out.Write(view(record.message, record.message_bytes))
	out.WriteByte('\n')
}

func follow(directory string) error {
	name := C.CString(directory)
	defer C.free(unsafe.Pointer(name))
	var reader *C.struct_fastlog_reader
	if C.fastlog_reader_open(name, nil, &reader) != C.FASTLOG_OK {
		return fmt.Errorf("%s", C.GoString(C.fastlog_reader_error(nil)))
	}
	defer C.fastlog_reader_close(reader)
	// In C's memory: the records hold pointers of the library, which Go's collector should not look at.
	size := C.size_t(unsafe.Sizeof(C.struct_fastlog_record{}))
	memory := (*C.struct_fastlog_record)(C.calloc(batch, size))
	defer C.free(unsafe.Pointer(memory))
	records := unsafe.Slice(memory, batch)
	out := bufio.NewWriter(os.Stdout)
	for {
		count := C.fastlog_reader_poll(reader, memory, batch, 1000)
		if count < 0 {
			return fmt.Errorf("%s", C.GoString(C.fastlog_reader_error(reader)))
		}
		for i := range records[:count] {
			print(out, &records[i])
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: follow DIRECTORY")
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, follow(os.Args[1]))
	os.Exit(1)
}

// Goroutines that allocate, resize, sort and free C's memory from many threads, with callbacks into Go.
package main

/*
#include <stdlib.h>
#include <string.h>
static int order(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
static long work(int n)
{
    long sum = 0;
    int *all = NULL;
    for (int i = 0; i < n; i++) {
        all = realloc(all, (size_t)(i + 1) * sizeof *all);
        if (!all) abort();
        all[i] = i * 7919 % 1009;
    }
    qsort(all, (size_t)n, sizeof *all, order);
    for (int i = 0; i < n; i += 7) sum += all[i] * i;
    free(all);
    return sum;
}
*/
import "C"

import (
	"fmt"
	"sync"
	"unsafe"
)

func main() {
	var group sync.WaitGroup
	sums := make([]int64, 64)
	for n := range sums {
		group.Add(1)
		go func(n int) {
			defer group.Done()
			for k := 0; k < 40; k++ {
				text := C.CString(fmt.Sprintf("%*d", k*13%700+1, n))
				sums[n] += int64(C.strlen(text)) + int64(C.work(C.int(n*10+k)))
				C.free(unsafe.Pointer(text))
			}
		}(n)
	}
	group.Wait()
	total := int64(0)
	for _, s := range sums {
		total += s
	}
	bytes := C.GoBytes(C.calloc(1, 5000), 5000)
	fmt.Println(total, len(bytes), bytes[4999])
}

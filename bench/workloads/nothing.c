/* An empty library: what preloading by itself costs a process. */
extern int moat_bench_nothing;
int moat_bench_nothing;

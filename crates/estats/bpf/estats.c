/* All hooks in one object: they share the maps, and the loader takes of them what the kernel takes. */
#include "adopt.c"
#include "callbacks.c"
#include "congestion.c"
#include "packets.c"

char _license[] SEC("license") = "GPL";

# Tests of what qemu's user mode does not do as a kernel would, by what it lacks. tests/emulated.c looks for each by itself,
# without moat, and scripts/cross fails where a name stands here that the emulator does not lack.
set(MOAT_NOT_EMULATED "")
function(lacks what)
    set(MOAT_NOT_EMULATED ${MOAT_NOT_EMULATED} ${ARGN} PARENT_SCOPE)
endfunction()
function(lacks_on where what) # ARCH, or ARCH-LIBC
    if(MOAT_ARCH STREQUAL where OR "${MOAT_ARCH}-${MOAT_LIBC}" STREQUAL where)
        set(MOAT_NOT_EMULATED ${MOAT_NOT_EMULATED} ${ARGN} PARENT_SCOPE)
    endif()
endfunction()

# MADV_WIPEONFORK succeeds and does nothing: a child draws its parent's numbers.
lacks(wipe_on_fork cache/a_forked_child_abandons_the_caches_of_others heaps/survive_fork_and_children_differ
    os_memory/wipe_on_fork_shows_the_child_zeros random/a_forked_child_draws_its_own
    thread/children_part_from_each_other)
# So does MADV_GUARD_INSTALL, on locked memory too.
lacks(guard_install os_memory/a_nest_holds_tables_between_guards os_memory/guard_faults_and_gives_back
    os_memory/guard_is_refused_on_locked_memory)
# mprotect and mremap of what is not mapped succeed.
lacks(holes os_memory/unmap_leaves_nothing os_memory/move_of_nothing_fails)
# RLIMIT_DATA and RLIMIT_AS are noted and not followed: they would be the emulator's own.
lacks(limits arena/without_memory_it_gives_nothing_and_loses_nothing large/without_memory_nothing_is_lost
    os_process/features_follow_limits start/address_space_may_be_small)
# The first thread's stack has its size from the start, whatever RLIMIT_STACK says.
lacks(stack_limit os_stack/of_a_stack_that_has_overflowed)
# There is no seccomp.
lacks(seccomp os_process/entropy_without_getrandom report_state/without_proc report_state/in_a_sandbox_that_kills
    report_state/a_warning_in_a_sandbox_that_kills)
# So does MADV_POPULATE_WRITE.
lacks(populate dense/pages_are_there_of_a_size_that_is_written_all_over
    dense/what_is_not_written_is_not_expected_any_more)
# And MADV_HUGEPAGE.
lacks(huge_pages dense/huge_pages)
# All processes have their mappings at the same addresses.
lacks(random_addresses start/processes_differ)
# 4 GiB of address space, see scripts/targets.sh; on 32 bits there is no more anyway.
lacks(reservation start/options_are_followed)
# A handler of SIGSEGV is not told that it was a page fault, nor of what kind.
lacks_on(i386 page_fault fault/is_reported_and_ends_the_process fault/goes_to_the_programs_handler_after_the_report
    fault/ignored_is_so_only_when_it_was_sent fault/is_handled_on_the_alternate_stack)
# A thread that signals are not for returns another number than it had summed up.
lacks_on(i386 thread_signals os_process/write_writes_all_whatever_signals_do)
# abort ends by SIGSEGV where a handler of SIGABRT has made a thread and returns.
lacks_on(i386-musl abort_after_thread report_state/warnings_do_not_wait_for_a_report)

if(CMAKE_CROSSCOMPILING_EMULATOR)
    list(JOIN MOAT_NOT_EMULATED "|" names)
    list(APPEND MOAT_TEST_ARGUMENTS --filter "!(${names})")
endif()
add_executable(emulated emulated.c)
target_link_libraries(emulated PRIVATE moat_warnings Threads::Threads)

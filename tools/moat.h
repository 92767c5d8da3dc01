/* The `moat` command: its parts. Each moat_*_main has the meaning and the result of a main. */
#ifndef MOAT_COMMAND_H
#define MOAT_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

/* How the command ends, as shells and env(1) do. */
enum { EXIT_USAGE = 2, EXIT_CANNOT_RUN = 126, EXIT_NOT_FOUND = 127 };

int moat_run_main(int argc, char **argv);
int moat_doctor_main(int argc, char **argv);
int moat_options_main(int argc, char **argv);
int moat_symbolize_main(int argc, char **argv);
int moat_fuzz_main(int argc, char **argv);
int moat_triage_main(int argc, char **argv);
int moat_top_main(int argc, char **argv);
int moat_map_main(int argc, char **argv);

/* Writes the help of a subcommand, or of all when name is NULL; false when there is none of that name. */
bool moat_help(const char *name);

/* The absolute path of the library to preload, or NULL; valid until the next call. */
enum moat_library { MOAT_PLAIN, MOAT_CHECKED, MOAT_FUZZ };
const char *moat_library_path(enum moat_library which);

/* What will keep LD_PRELOAD from reaching a program. */
enum moat_obstacle {
    MOAT_REACHABLE,
    MOAT_UNREADABLE,   /* nothing can be said */
    MOAT_PRIVILEGED,   /* setuid, setgid or file capabilities: the loader drops LD_PRELOAD paths */
    MOAT_STATIC,       /* no loader at all */
    MOAT_FOREIGN,      /* another architecture or word size */
    MOAT_OTHER_LOADER, /* another libc */
};

/* Looks at the program that execvp(name) would start, a script's interpreter included. `path` is set to the
 * file that was looked at last and stays valid until the next call; NULL when there is none of that name. */
enum moat_obstacle moat_program_check(const char *name, const char **path);

#endif

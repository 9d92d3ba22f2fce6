/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* plugin_host PLUGIN ARGUMENT: runs the plugin's main. Neither it nor its library are in the global scope. */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	void *plugin = argc == 3 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
	int (*run)(int, char **) = NULL;

	if (plugin)
		*(void **)&run = dlsym(plugin, "main");
	if (run)
		return run(2, argv + 1);
	fprintf(stderr, "plugin_host: %s\n", plugin ? "the plugin has no main" : dlerror());
	return 2;
}

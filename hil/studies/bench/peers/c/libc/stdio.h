/* Headers of others include <stdio.h>; nothing of it is called. */

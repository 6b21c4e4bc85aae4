#!/bin/sh
# /usr/local/bin/hearthlog: the command for an installed box. The data belong to the user hearthlog, so it runs as that.
exec sudo -u hearthlog -- env HEARTHLOG_HOME=/var/lib/hearthlog /opt/hearthlog/bin/hearthlog "$@"

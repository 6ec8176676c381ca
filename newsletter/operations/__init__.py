"""Operations: what spans rooms: the one command that cron calls, and the doctor."""

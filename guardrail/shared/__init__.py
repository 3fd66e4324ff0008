"""What several processes that serve one model share, in Redis. Needs the extra `redis`."""

"""Which parameters the families aurora-mysql8.0 and aurora-mysql8.4 have, and at which level.

Source: Aurora User Guide, "Aurora MySQL configuration parameters". Those of version 2 alone are left out, and
names have underscores here where the family writes some with hyphens.
"""

from __future__ import annotations

CLUSTER = frozenset(
    """
    aurora_binlog_replication_max_yield_seconds aurora_binlog_replication_sec_index_parallel_workers
    aurora_enable_staggered_replica_restart aurora_enable_zdr aurora_enhanced_binlog
    aurora_full_double_precision_in_json aurora_fwd_writer_idle_timeout
    aurora_fwd_writer_max_connections_pct aurora_in_memory_relaylog aurora_jemalloc_background_thread
    aurora_jemalloc_dirty_decay_ms aurora_jemalloc_tcache_enabled aurora_load_from_s3_role
    aurora_mask_password_hashes_type aurora_ml_inference_timeout aurora_replica_read_consistency
    aurora_select_into_s3_role authentication_kerberos_caseins_cmp auto_increment_increment
    auto_increment_offset aws_default_lambda_role aws_default_s3_role binlog_backup binlog_checksum
    binlog_do_db binlog_format binlog_group_commit_sync_delay binlog_group_commit_sync_no_delay_count
    binlog_ignore_db binlog_replication_globaldb binlog_row_metadata binlog_row_value_options
    binlog_rows_query_log_events binlog_transaction_dependency_history_size
    binlog_transaction_dependency_tracking character_set_client character_set_client_handshake
    character_set_connection character_set_database character_set_filesystem character_set_results
    character_set_server collation_connection collation_server completion_type enforce_gtid_consistency
    event_scheduler gtid_mode information_schema_stats_expiry innodb_adaptive_hash_index
    innodb_aurora_instant_alter_column_allowed innodb_autoinc_lock_mode innodb_cmp_per_index_enabled
    innodb_commit_concurrency innodb_default_row_format innodb_file_per_table
    innodb_flush_log_at_trx_commit innodb_ft_max_token_size innodb_ft_min_token_size
    innodb_ft_num_word_optimize innodb_ft_sort_pll_degree innodb_online_alter_log_max_size
    innodb_optimize_fulltext_only innodb_purge_batch_size innodb_purge_threads innodb_rollback_on_timeout
    innodb_rollback_segments innodb_spin_wait_delay innodb_stats_include_delete_marked innodb_strict_mode
    innodb_sync_array_size innodb_sync_spin_loops innodb_table_locks innodb_trx_commit_allow_data_loss
    lc_time_names lower_case_table_names read_only relay_log_space_limit replica_parallel_type
    replica_preserve_commit_order replica_transaction_retries replica_type_conversions replicate_do_db
    replicate_do_table replicate_ignore_db replicate_ignore_table replicate_wild_do_table
    replicate_wild_ignore_table require_secure_transport rpl_read_size server_audit_events
    server_audit_excl_users server_audit_incl_users server_audit_logging server_audit_logs_upload
    skip_character_set_client_handshake source_verify_checksum time_zone tls_version
    """.split()  # noqa: SIM905 - a list of two hundred quoted names reads worse
)
"""Of the whole cluster: a parameter group of instances does not have them."""

INSTANCE = frozenset(
    """
    activate_all_roles_on_login aurora_oom_response aurora_parallel_query
    aurora_read_replica_read_committed aurora_tmptable_enable_per_table_limit
    aurora_use_vector_instructions autocommit automatic_sp_privileges back_log binlog_cache_size
    binlog_max_flush_queue_time binlog_order_commits binlog_stmt_cache_size binlog_transaction_compression
    binlog_transaction_compression_level_zstd bulk_insert_buffer_size concurrent_insert connect_timeout
    default_tmp_storage_engine default_week_format delay_key_write delayed_insert_limit
    delayed_insert_timeout delayed_queue_size div_precision_increment end_markers_in_json
    eq_range_index_dive_limit explicit_defaults_for_timestamp flush_time ft_max_word_len ft_min_word_len
    ft_query_expansion_limit ft_stopword_file general_log group_concat_max_len host_cache_size
    init_connect innodb_adaptive_max_sleep_delay innodb_aurora_max_partitions_for_range
    innodb_autoextend_increment innodb_buffer_pool_size innodb_compression_failure_threshold_pct
    innodb_compression_level innodb_compression_pad_pct_max innodb_concurrency_tickets
    innodb_deadlock_detect innodb_ft_aux_table innodb_ft_cache_size innodb_ft_enable_stopword
    innodb_ft_server_stopword_table innodb_ft_user_stopword_table innodb_lock_wait_timeout
    innodb_lru_scan_depth innodb_max_purge_lag innodb_max_purge_lag_delay innodb_monitor_disable
    innodb_monitor_enable innodb_monitor_reset innodb_monitor_reset_all innodb_old_blocks_pct
    innodb_old_blocks_time innodb_open_files innodb_print_all_deadlocks innodb_random_read_ahead
    innodb_read_ahead_threshold innodb_replication_delay innodb_sort_buffer_size innodb_stats_auto_recalc
    innodb_stats_method innodb_stats_on_metadata innodb_stats_persistent
    innodb_stats_persistent_sample_pages innodb_stats_transient_sample_pages innodb_thread_sleep_delay
    interactive_timeout internal_tmp_mem_storage_engine join_buffer_size keep_files_on_create
    key_buffer_size key_cache_age_threshold key_cache_block_size key_cache_division_limit local_infile
    lock_wait_timeout log_bin_trust_function_creators log_error_suppression_list log_output
    log_queries_not_using_indexes log_throttle_queries_not_using_indexes long_query_time
    low_priority_updates max_allowed_packet max_binlog_cache_size max_binlog_stmt_cache_size
    max_connect_errors max_connections max_delayed_threads max_error_count max_execution_time
    max_heap_table_size max_insert_delayed_threads max_join_size max_prepared_stmt_count max_seeks_for_key
    max_sort_length max_sp_recursion_depth max_user_connections max_write_lock_count
    min_examined_row_limit myisam_data_pointer_size myisam_max_sort_file_size myisam_mmap_size
    myisam_sort_buffer_size myisam_stats_method myisam_use_mmap net_buffer_length net_read_timeout
    net_retry_count net_write_timeout old_style_user_limits optimizer_prune_level optimizer_search_depth
    optimizer_switch optimizer_trace optimizer_trace_features optimizer_trace_limit
    optimizer_trace_max_mem_size optimizer_trace_offset performance_schema preload_buffer_size
    profiling_history_size query_alloc_block_size query_prealloc_size range_alloc_block_size
    read_buffer_size read_rnd_buffer_size replica_checkpoint_group replica_checkpoint_period
    replica_parallel_workers replica_pending_jobs_size_max replica_skip_errors replica_sql_verify_checksum
    safe_user_create show_create_table_verbosity skip_show_database slow_launch_time slow_query_log
    sort_buffer_size sql_mode sql_select_limit stored_program_cache sync_master_info sync_relay_log_info
    sync_source_info sysdate_is_now table_definition_cache table_open_cache table_open_cache_instances
    temptable_max_mmap temptable_max_ram temptable_use_mmap thread_cache_size thread_stack tmp_table_size
    transaction_alloc_block_size transaction_isolation transaction_prealloc_size
    updatable_views_with_limit wait_timeout
    """.split()  # noqa: SIM905 - a list of two hundred quoted names reads worse
)
"""Of one instance; a cluster's group has them too, as what its instances begin with."""

INSTANCE_PREFIX = "performance_schema_"

FIXED = frozenset(
    """
    allow_suspicious_udfs basedir bind_address binlog_row_image core_file datadir
    default_authentication_plugin default_storage_engine default_time_zone flush ft_boolean_syntax
    general_log_file innodb_buffer_pool_dump_at_shutdown innodb_buffer_pool_dump_now
    innodb_buffer_pool_filename innodb_buffer_pool_load_abort innodb_buffer_pool_load_at_startup
    innodb_buffer_pool_load_now innodb_change_buffer_max_size innodb_data_home_dir
    innodb_flushing_avg_loops innodb_force_load_corrupted innodb_log_compressed_pages innodb_page_size
    innodb_read_io_threads innodb_read_only innodb_thread_concurrency innodb_undo_directory log_bin
    log_error log_replica_updates max_binlog_size partial_revokes pid_file plugin_dir port relay_log
    relay_log_recovery secure_file_priv server_audit_cw_upload server_id skip_external_locking
    skip_name_resolve skip_replica_start slow_query_log_file socket sync_binlog
    table_cache_element_entry_ttl thread_handling tmpdir validate_password
    validate_password_dictionary_file validate_password_length validate_password_mixed_case_count
    validate_password_number_count validate_password_policy validate_password_special_char_count
    """.split()  # noqa: SIM905 - a list of two hundred quoted names reads worse
)
"""Known to a family, and nobody's to change."""

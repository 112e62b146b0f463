case $code in
    3)
        echo "Some simulations failed: 'simherd failures STORE' shows them." >&2
        @{if_some_failed}
        ;;
    4)
        # Not done. A run that ends at once, or got nothing done, would only do so again, and one that was
        # cancelled stays so.
        if @{may_go_back} && [ "$told" != @{cancelled_by} ] && [ "$SECONDS" -ge 10 ]; then
            if [ "$(progress)" != "$before" ]; then
                echo "The run is not finished: the job goes back into the queue." >&2
                @{go_back}
            fi
            echo "No simulation was finished and no checkpoint written in $SECONDS s: again it would be the same." >&2
            echo "Give the job more time or workers, or let the experiment write checkpoints, and submit it again." >&2
        else
            echo "The run is not finished: submit the job again, and it goes on from the store." >&2
        fi
        ;;
esac
exit "$code"

"""Widgets that follow the URL do not put back what a person has moved on."""

from streamlit.testing.v1 import AppTest


def page():
    import streamlit as st

    from dashboard.sync_widget import follow

    follow("level", float(st.query_params.get("level", 3)))
    st.slider("Level", 0.0, 9.0, key="level")
    st.query_params["level"] = st.session_state["level"]


def test_a_moved_slider_is_not_told_its_own_value():
    app = AppTest.from_function(page).run()
    assert app.slider[0].value == 3
    assert app.slider[0].proto.set_value
    app.query_params["level"] = "5"  # as its callback writes it
    app.slider[0].set_value(5.0).run()
    assert app.slider[0].value == 5
    assert not app.slider[0].proto.set_value


def test_a_slider_follows_another_address():
    app = AppTest.from_function(page).run()
    app.query_params["level"] = "7"
    app.run()
    assert app.slider[0].value == 7
    assert app.slider[0].proto.set_value
